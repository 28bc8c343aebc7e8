-- When a master was closed: its statements reach to the period of that instant, in which it may owe a part of its price, or get a
-- part of a year back, without having used anything. Null where it is open, or was closed by a version before this.
alter table master add column closed_at timestamptz;
