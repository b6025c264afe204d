"""MA-52 from zip files to clips that are read fast: download, verify, index, split, crop, cache."""
