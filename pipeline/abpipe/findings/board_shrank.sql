-- warning: the board had shrunk and its stored width had not: later places lie up to 1.7 % too far left
-- A scroll bar narrows a board of 880 px to 865 from the eleventh icon on; x is still divided by 880.
SELECT annotation_id, dataset, shrank AS found
FROM annotations
JOIN audit USING (annotation_id, dataset)
WHERE tool = 'coco' AND shrank IS NOT NULL
