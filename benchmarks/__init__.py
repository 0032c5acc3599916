"""Load testers and what they need: made-up inputs, drivers, yardsticks, one report."""
