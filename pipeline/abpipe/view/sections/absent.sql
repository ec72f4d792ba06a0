-- The classes without a picture.
SELECT class_id, name FROM classes
WHERE class_id NOT IN (SELECT label FROM image_targets)
ORDER BY class_index
