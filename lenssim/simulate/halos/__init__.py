"""Haloes: mass functions, concentrations, tides, solitons, the line of sight, and a bridge to pyHalo."""
