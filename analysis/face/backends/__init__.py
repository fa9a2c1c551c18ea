"""Estimators of Action Unit intensity behind one seam."""
