#!/bin/sh
# Tells Nomarr what Lidarr imported, upgraded, renamed, retagged or deleted. Needs only sh and curl.
#
# Lidarr -> Settings -> Connect -> + -> Custom Script; tick On Release Import, On Upgrade, On Rename, On Track Retag,
# On Album Delete and On Artist Delete. The file must be executable. The Test button proves that the address and the
# key are right.
#
#   NOMARR_URL       where Nomarr is, by default http://nomarr:8356
#   NOMARR_KEY       an API key for enqueueing; else it is read from
#   NOMARR_KEY_FILE  by default /config/nomarr.key

URL="${NOMARR_URL:-http://nomarr:8356}"
KEY="${NOMARR_KEY:-$(cat "${NOMARR_KEY_FILE:-/config/nomarr.key}" 2>/dev/null)}"
# Lidarr writes the names in lower case; read the others too.
event="${lidarr_eventtype:-$Lidarr_EventType}"

# The key goes in by stdin: arguments can be seen by everybody on the machine.
tell() {
    printf 'header = "X-Api-Key: %s"\n' "$KEY" |
        curl --config - --fail --silent --show-error --output /dev/null --max-time 30 --retry 2 --retry-connrefused \
            --data-urlencode "eventType=$event" \
            --data-urlencode "instanceName=${lidarr_instancename:-$Lidarr_InstanceName}" \
            "$@" "${URL%/}/api/v1/hooks/lidarr"
}

case "$event" in
    Test) tell ;;
    AlbumDownload)
        tell --data-urlencode "paths=${lidarr_addedtrackpaths:-$Lidarr_AddedTrackPaths}" \
            --data-urlencode "deletedPaths=${lidarr_deletedpaths:-$Lidarr_DeletedPaths}"
        ;;
    Rename)
        tell --data-urlencode "paths=${lidarr_trackfile_paths:-$Lidarr_TrackFile_Paths}" \
            --data-urlencode "previousPaths=${lidarr_trackfile_previouspaths:-$Lidarr_TrackFile_PreviousPaths}"
        ;;
    TrackRetag) tell --data-urlencode "paths=${lidarr_trackfile_path:-$Lidarr_TrackFile_Path}" ;;
    ArtistDeleted | AlbumDeleted)
        tell --data-urlencode "artistPath=${lidarr_artist_path:-$Lidarr_Artist_Path}" \
            --data-urlencode "deletedFiles=${lidarr_artist_deletedfiles:-$Lidarr_Artist_DeletedFiles}"
        ;;
    *) exit 0 ;;
esac
