#include <pthread.h>
#include <stdlib.h>

#include "cache/cache_varnishd.h"

#include "objects.h"

struct node {
	uint64_t id;
	struct objcore *oc;
	struct node *next;
};

/* Each stripe has its own lock and table. Ids count up, so their low bits spread evenly. */
#define STRIPES 64
static struct stripe {
	pthread_mutex_t mtx;
	struct node **chains;
	size_t mask, count;
} stripes[STRIPES];

void
objects_init(void)
{
	unsigned n;

	for (n = 0; n < STRIPES; n++) {
		AZ(pthread_mutex_init(&stripes[n].mtx, NULL));
		stripes[n].mask = 15;
		stripes[n].count = 0;
		stripes[n].chains = calloc(stripes[n].mask + 1, sizeof(struct node *));
		AN(stripes[n].chains);
	}
}

void
objects_fini(void)
{
	struct node *node, *next;
	unsigned n;
	size_t at;

	for (n = 0; n < STRIPES; n++) {
		for (at = 0; at <= stripes[n].mask; at++) {
			for (node = stripes[n].chains[at]; node != NULL; node = next) {
				next = node->next;
				free(node);
			}
		}
		free(stripes[n].chains);
		AZ(pthread_mutex_destroy(&stripes[n].mtx));
	}
}

static struct stripe *
lock(uint64_t id)
{
	struct stripe *s = &stripes[id % STRIPES];

	AZ(pthread_mutex_lock(&s->mtx));
	return (s);
}

static void
unlock(struct stripe *s)
{
	AZ(pthread_mutex_unlock(&s->mtx));
}

static struct node **
find(struct stripe *s, uint64_t id)
{
	struct node **at = &s->chains[(id / STRIPES) & s->mask];

	while (*at != NULL && (*at)->id != id)
		at = &(*at)->next;
	return (at);
}

static void
grow(struct stripe *s)
{
	size_t at, old = s->mask + 1;
	struct node **chains = s->chains, *node, *next, **to;

	s->chains = calloc(2 * old, sizeof(struct node *));
	AN(s->chains);
	s->mask = 2 * old - 1;
	for (at = 0; at < old; at++) {
		for (node = chains[at]; node != NULL; node = next) {
			next = node->next;
			to = &s->chains[(node->id / STRIPES) & s->mask];
			node->next = *to;
			*to = node;
		}
	}
	free(chains);
}

int
objects_put(uint64_t id, struct objcore *oc)
{
	struct node *node = malloc(sizeof *node), **at;
	struct stripe *s;
	int is_new;

	AN(node);
	s = lock(id);
	if (s->count > s->mask)
		grow(s);
	at = find(s, id);
	node->id = id;
	node->oc = oc;
	node->next = NULL;
	/* Ids never come again. But an origin may send the header, where a VCL does not call commit(). */
	is_new = *at == NULL;
	if (is_new) {
		*at = node;
		s->count++;
	}
	unlock(s);
	if (!is_new)
		free(node);
	return (is_new);
}

int
objects_take(uint64_t id)
{
	struct stripe *s = lock(id);
	struct node **at = find(s, id), *node = *at;

	if (node != NULL) {
		*at = node->next;
		s->count--;
	}
	unlock(s);
	free(node);
	return (node != NULL);
}

int
objects_has(uint64_t id)
{
	struct stripe *s = lock(id);
	int has = *find(s, id) != NULL;

	unlock(s);
	return (has);
}

int
objects_kill(uint64_t id)
{
	struct stripe *s = lock(id);
	struct node *node = *find(s, id);

	/* The object is freed after objects_take, for which this lock is needed. */
	if (node != NULL)
		EXP_Rearm(node->oc, node->oc->t_origin, 0, 0, 0);
	unlock(s);
	return (node != NULL);
}

size_t
objects_count(void)
{
	size_t count = 0;
	unsigned n;

	for (n = 0; n < STRIPES; n++) {
		AZ(pthread_mutex_lock(&stripes[n].mtx));
		count += stripes[n].count;
		unlock(&stripes[n]);
	}
	return (count);
}
