-- note: places beyond the edges of the picture, as its border takes them
SELECT annotation_id, dataset, lowest < 0 OR highest > 1 AS found
FROM audit
WHERE lowest IS NOT NULL
