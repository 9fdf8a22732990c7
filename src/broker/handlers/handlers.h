// One handler an API, each in the file NN_api_name.cc; api_table.cc says which versions are served.
#pragma once

#include "broker/request_context.h"

namespace ottla::broker {

void handle_produce(RequestContext context);
void handle_fetch(RequestContext context);
void handle_list_offsets(RequestContext context);
void handle_metadata(RequestContext context);
void handle_offset_commit(RequestContext context);
void handle_offset_fetch(RequestContext context);
void handle_find_coordinator(RequestContext context);
void handle_join_group(RequestContext context);
void handle_heartbeat(RequestContext context);
void handle_leave_group(RequestContext context);
void handle_sync_group(RequestContext context);
void handle_describe_groups(RequestContext context);
void handle_list_groups(RequestContext context);
void handle_api_versions(RequestContext context);
void handle_create_topics(RequestContext context);
void handle_delete_topics(RequestContext context);
void handle_delete_records(RequestContext context);
void handle_init_producer_id(RequestContext context);
void handle_offset_for_leader_epoch(RequestContext context);
void handle_describe_configs(RequestContext context);
void handle_alter_configs(RequestContext context);
void handle_describe_log_dirs(RequestContext context);
void handle_create_partitions(RequestContext context);
void handle_delete_groups(RequestContext context);
void handle_incremental_alter_configs(RequestContext context);
void handle_offset_delete(RequestContext context);
void handle_consumer_group_heartbeat(RequestContext context);
void handle_consumer_group_describe(RequestContext context);
void handle_describe_cluster(RequestContext context);
void handle_describe_producers(RequestContext context);
void handle_describe_topic_partitions(RequestContext context);

}  // namespace ottla::broker
