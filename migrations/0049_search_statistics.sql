-- What a search finds is estimated by a sample of the texts it looks into. Of the usual hundred, one that happens to match
-- stands for a hundredth of all: the planner then took those to be many, and read a hundred thousand in the order of their
-- names to find ten (70 to 200 ms instead of 4). Of four hundred none stands for more than a page or two.
alter index if exists subaccount_searched alter column 1 set statistics 400;
analyze subaccount;
