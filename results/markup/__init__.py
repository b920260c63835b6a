"""A page as data (content), and its rendering as HTML or Markdown (html, markdown)."""
