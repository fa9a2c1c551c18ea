#version 330
in vec3 in_place;
in vec3 in_normal;
in vec3 in_kind;
in vec4 in_strand;  // mask, across and along the strands, volume
out vec3 place;
out vec3 normal;
out vec3 strand;
out vec4 from_lamp;
out float layer;
uniform float volume;
uniform float strand_length;
uniform float shell;
uniform vec3 hangs;
//include place
void main() {
    float grown = smoothstep(0.0, 0.6, in_strand.x);
    vec3 out_to = in_normal * (volume * in_strand.w + strand_length * shell * grown);
    place = turned(in_place + out_to + hangs * strand_length * shell * shell * 0.5 * grown, in_kind.z);
    normal = turned_normal(in_normal, in_kind.z);
    strand = in_strand.xyz;
    layer = shell;
    from_lamp = lamp_view * vec4(place, 1.0);
    gl_Position = camera * vec4(place, 1.0);
}
