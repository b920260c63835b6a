"""A page as data (content), and what makes HTML or Markdown of it (html, markdown)."""
