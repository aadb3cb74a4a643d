"""The way of a message from the caller to the server: lanes, the writer, confirmations."""
