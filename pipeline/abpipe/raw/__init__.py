"""Raw: streams of members and records out of archives, folders and JSON files."""
