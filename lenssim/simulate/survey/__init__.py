"""Surveys: the lenses that a survey of the sky will see."""

from lenssim.simulate.survey.detection import detect
from lenssim.simulate.survey.survey import Survey, load_survey, surveys

__all__ = ["Survey", "detect", "load_survey", "surveys"]
