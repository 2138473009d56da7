"""What is fast, measured side by side. Never part of the tests."""
