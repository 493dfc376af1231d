"""One module or package per web server: from a process to "where does this request go?"."""
