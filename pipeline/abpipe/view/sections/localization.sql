-- How well answers tell where objects are: overall, and by size of the object.
SELECT * FROM localization_scores
WHERE "of" IN ('all', 'size') AND (n_judged > 0 OR "of" = 'all')
ORDER BY "of", what, name
