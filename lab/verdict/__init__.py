"""Pure: samples to effects to words."""
