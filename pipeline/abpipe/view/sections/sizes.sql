-- The size that pictures were shown with, recovered from fractions, beside the stored one.
SELECT
    count(*) AS records,
    count(shown_width) AS widths,
    count(*) FILTER (shown_width = display_width) AS widths_stored,
    count(shown_height) AS heights,
    count(*) FILTER (shown_height = display_height) AS heights_stored,
    count(*) FILTER (shrank) AS shrank
FROM audit JOIN annotations USING (annotation_id)
