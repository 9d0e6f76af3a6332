"""What plays recorded answers against a running server and tells what differs."""
