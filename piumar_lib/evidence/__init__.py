"""The study of unseen people: methods by name, folds, records, and what they establish."""
