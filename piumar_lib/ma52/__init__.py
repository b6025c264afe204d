"""From MA-52's zip files to training: its layout, a stand-in of the same layout, and what reads both."""
