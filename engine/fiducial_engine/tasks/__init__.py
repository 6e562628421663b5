"""What a network is trained for: its loss, activation and predictions; one file a task."""
