"""The door: one file per group of commands. Modules here import nothing heavy; commands import what they need."""
