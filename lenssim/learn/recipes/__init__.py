"""Recipes: many data sets, trainings and evaluations from one file."""
