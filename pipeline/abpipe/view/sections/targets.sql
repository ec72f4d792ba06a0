-- What to mind about labels of pictures: how often each flag of image_targets is raised.
SELECT flag, count(*) AS n, n / (SELECT count(*) FROM image_targets) AS share
FROM (SELECT unnest(flags) AS flag FROM image_targets)
GROUP BY flag
ORDER BY n DESC, flag
