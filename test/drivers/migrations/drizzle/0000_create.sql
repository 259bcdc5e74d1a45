create table city (id serial primary key, name text not null);
--> statement-breakpoint
insert into ran values ('1-create');
