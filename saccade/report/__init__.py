"""The page that a person looks at: a run as one HTML file, or served while it trains."""
