"""What the web servers' packages share."""
