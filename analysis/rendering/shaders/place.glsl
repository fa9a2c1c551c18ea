// Turns what belongs to the head; the torso and the lower neck stay (stays: 1).
uniform mat4 camera;
uniform mat4 lamp_view;
uniform mat3 head_turn;
uniform vec3 pivot;

vec3 turned(vec3 at, float stays) { return mix(head_turn * (at - pivot) + pivot, at, stays); }
vec3 turned_normal(vec3 normal, float stays) { return mix(head_turn * normal, normal, stays); }
