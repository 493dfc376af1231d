"""What will happen to lineages, and what is done after a renewal."""
