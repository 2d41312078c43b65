"""HTML pages in one style: light and dark, wide and narrow, with tables that sort."""

from lenssim.pages.page import figure, heading, html_page, html_table, picture_url

__all__ = ["figure", "heading", "html_page", "html_table", "picture_url"]
