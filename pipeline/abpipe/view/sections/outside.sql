-- One row a kind of event that has places: how many lie beyond the edges of the picture.
SELECT
    kind,
    count(*) AS n,
    count(*) FILTER (x IS NULL OR y IS NULL) AS unplaced,
    count(*) FILTER (x < 0) AS "left",
    count(*) FILTER (x > 1) AS "right",
    count(*) FILTER (y < 0) AS top,
    count(*) FILTER (y > 1) AS bottom,
    count(*) FILTER (least(x, y) < 0 OR greatest(x, y) > 1) AS outside,
    outside / n AS share,
    min(least(x, y)) AS lowest,
    max(greatest(x, y)) AS highest
FROM events
GROUP BY kind
HAVING count(x) > 0
ORDER BY kind
