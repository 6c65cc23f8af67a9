"""The results of studies as pages for a browser: tables, figures, predictions to listen to, the protocol card."""
