"""The engine: what happens on the training device. TypeScript starts it and reads what it writes."""

import os

# Threads that wait should soon sleep, not spin on. Read once, when torch loads OpenMP. ResNet-18 at 96 px on two cores,
# images a second in bf16: alone 118 where they sleep at once, 140 after 10,000 turns; three trainings side by side 59
# and 64 together, and a quarter of that where they spin as long as OpenMP would.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
