/*
 * service/config_check.h - what each key may say, but not together. Internal to
 * the configuration.
 */
#ifndef UL_SERVICE_CONFIG_CHECK_H
#define UL_SERVICE_CONFIG_CHECK_H

struct ul_config;
struct ul_config_place;

/*
 * Refuse contradictions, then fill in what one key says for another: graces,
 * the rules that marks name, the clock of schedules.
 * Returns: 0, UL_E_INVALID with the reason.
 */
int ul_config_check(struct ul_config_place *place, struct ul_config *config);

#endif
