"""The study of unseen people: methods by name, folds, records, and inference from them."""
