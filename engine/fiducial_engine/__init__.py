"""The engine: what happens on the training device. TypeScript starts it and reads what it writes."""
