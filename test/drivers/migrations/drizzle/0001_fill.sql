insert into city (name) values ('Bern'), ('Rome');
--> statement-breakpoint
alter table city add column country text;
--> statement-breakpoint
insert into ran values ('2-fill');
