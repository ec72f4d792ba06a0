-- What the queries of derived tables share.

-- A point of the displayed picture, which follows EXIF, in the stored one: both in fractions. An
-- orientation that is not known counts as upright.
CREATE OR REPLACE MACRO stored_x(x, y, orientation) AS
    CASE WHEN orientation IN (2, 3) THEN 1 - x
        WHEN orientation IN (5, 6) THEN y
        WHEN orientation IN (7, 8) THEN 1 - y
        ELSE x END;
CREATE OR REPLACE MACRO stored_y(x, y, orientation) AS
    CASE WHEN orientation IN (3, 4) THEN 1 - y
        WHEN orientation IN (5, 8) THEN x
        WHEN orientation IN (6, 7) THEN 1 - x
        ELSE y END;

-- Whether a point lies in the picture; its edges belong to it.
CREATE OR REPLACE MACRO is_inside(x, y) AS x BETWEEN 0 AND 1 AND y BETWEEN 0 AND 1;

-- Whether two sizes are one picture's, scaled: up to the rounding to whole pixels.
CREATE OR REPLACE MACRO same_shape(width1, height1, width2, height2) AS
    abs(width1 * height2 - height1 * width2) <=
        CASE WHEN width1 + height1 = width2 + height2 THEN 0
            ELSE (width1 + height1 + width2 + height2) / 2 END;
