-- One row for every picture with clicks as the published ImageNet loader reads them: their mean.
SELECT row, avg(x ORDER BY annotation_id) AS x, avg(y ORDER BY annotation_id) AS y
FROM clicks_published
JOIN chosen USING (annotation_id, image_id)
JOIN numbers USING (image_id)
WHERE x IS NOT NULL AND y IS NOT NULL
GROUP BY row
