-- Where answers lie in the picture: how many in each of 40 x 40 cells.
SELECT
    least(floor(x * 40), 39)::BIGINT AS "column",
    least(floor(y * 40), 39)::BIGINT AS "row",
    count(*) AS n
FROM clicks
WHERE inside
GROUP BY ALL
ORDER BY ALL
