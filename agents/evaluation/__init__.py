"""Evaluation of a run: pieces as files, metrics versus the reference policy, random play and real music, a report."""
