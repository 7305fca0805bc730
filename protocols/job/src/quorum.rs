//! Tally of one job's receipts → decision. A pure function of the receipts, so that anyone with the Log recomputes it.
