/* Which object of the cache has which id. An id is never an address: expiry may free an object
 * between the moment when its id is read and the moment when it is used. */
#include <stddef.h>
#include <stdint.h>

struct objcore;

void objects_init(void);
void objects_fini(void);
/* The object must not be freed before objects_take. Whether the id was new. */
int objects_put(uint64_t id, struct objcore *);
/* Whether the id was there. */
int objects_take(uint64_t id);
int objects_has(uint64_t id);
/* Makes an object expire at once. Whether it was there. */
int objects_kill(uint64_t id);
size_t objects_count(void);
