"""What tasks about pictures have in common: their data, the pictures, and the two forms of a question."""
