"""What any program needs: whole files, locks, other machines, command lines, ranges of arguments."""
