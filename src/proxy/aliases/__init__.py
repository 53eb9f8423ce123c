"""The aliases that operators make: what each stands for, and for whom."""
