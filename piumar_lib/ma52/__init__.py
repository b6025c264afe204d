"""From MA-52's zip files to training: its layout, a stand-in of it, and programs for both."""
