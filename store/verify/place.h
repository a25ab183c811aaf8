/* store/verify/place.h - what place.c and repair_place.c share. */
#ifndef UL_STORE_VERIFY_PLACE_H
#define UL_STORE_VERIFY_PLACE_H

/* Every folder of a store, those above first; ends with NULL. */
extern const char *const verify_folders[];

#endif
