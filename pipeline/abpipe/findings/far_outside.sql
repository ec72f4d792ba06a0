-- warning: places far beyond the edges of the picture, by more than 5 % of its size
SELECT annotation_id, dataset, lowest < -0.05 OR highest > 1.05 AS found
FROM audit
WHERE lowest IS NOT NULL
